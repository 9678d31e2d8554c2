CREATE OR REPLACE TRIGGER new_incident_is_audited AFTER INSERT ON incidents FOR EACH ROW EXECUTE FUNCTION audit_new_incident();
