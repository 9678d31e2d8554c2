-- What counts against a guest's serving limit, for deciding a question.
CREATE OR REPLACE FUNCTION served_facts(of_guest uuid, at_venue text, measure text, window_minutes bigint, one_pour uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object('used', used, 'of_pending', of_pour)
        FROM served(of_guest, at_venue, measure, window_minutes, one_pour));
END $$;
