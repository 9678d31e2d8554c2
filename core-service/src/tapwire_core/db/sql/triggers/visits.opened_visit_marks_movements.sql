CREATE OR REPLACE TRIGGER opened_visit_marks_movements BEFORE INSERT ON visits
FOR EACH ROW EXECUTE FUNCTION mark_visit_movements();
