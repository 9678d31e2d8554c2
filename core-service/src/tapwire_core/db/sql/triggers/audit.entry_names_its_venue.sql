CREATE OR REPLACE TRIGGER entry_names_its_venue BEFORE INSERT ON audit FOR EACH ROW
WHEN (NEW.venue_id IS NULL AND NEW.action NOT IN ('login_succeeded', 'login_failed', 'logged_out', 'user_created', 'user_changed'))
EXECUTE FUNCTION name_audit_venue();
