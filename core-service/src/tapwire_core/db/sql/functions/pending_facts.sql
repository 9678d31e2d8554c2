-- The facts of a tap's pending pour for deciding a question. Most questions meet none: as a function of its own it costs them nothing.
CREATE OR REPLACE FUNCTION pending_facts(of_pour uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object(
            'pour_id', pending.pour_id,
            'visit_id', pending.visit_id,
            'guest_id', pending.guest_id,
            'hold_minor', pending.hold_minor,
            'journal_id', pending.journal_id,
            'seq', pending.seq,
            'open_incidents', (
                SELECT coalesce(jsonb_agg(jsonb_build_object('incident_id', incident_id, 'kind', kind)), '[]')
                FROM incidents WHERE incidents.pour_id = pending.pour_id AND status <> 'resolved'),
            'reported', pending.reported OR pending.report_refused OR pending.report_may_have_come OR EXISTS (
                SELECT FROM pour_reports said
                WHERE said.pour_id = pending.pour_id AND said.tap_path = pending.tap_path))
        FROM pours pending WHERE pending.pour_id = of_pour);
END $$;
