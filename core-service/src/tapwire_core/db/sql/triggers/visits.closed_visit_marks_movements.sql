CREATE OR REPLACE TRIGGER closed_visit_marks_movements BEFORE UPDATE OF status ON visits
FOR EACH ROW WHEN (NEW.status = 'closed' AND OLD.status <> 'closed') EXECUTE FUNCTION mark_visit_movements();
