-- Keeps an unusable message, and returns whether it is kept: a repeated one is counted in its row. A device of which its hour's
-- budget of them is kept already has the next ones counted in its incident `device_misbehaving`.
CREATE OR REPLACE FUNCTION store_dead_letter(
    letter_topic text, what text, why text, content bytea, digest bytea, size bigint, from_device text, venue text, budget bigint)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dead_letters SET occurrences = occurrences + 1, last_received_at = now()
    WHERE topic = letter_topic AND payload_hash = digest AND malformation = what;
    IF FOUND THEN
        RETURN true;
    END IF;
    IF (SELECT count(*) FROM (
            SELECT FROM dead_letters
            WHERE coalesce(device, '') = coalesce(from_device, '')
            AND is_recent(received_at, interval '1 hour')
            LIMIT budget) AS recent) >= budget
    THEN
        PERFORM count_misbehaviour(
            from_device, venue, 'dead_letters', 1,
            jsonb_build_object('topic', left(letter_topic, 200), 'malformation', what, 'explanation', left(why, 300)));
        RETURN false;
    END IF;
    INSERT INTO dead_letters AS letter (topic, malformation, explanation, payload, payload_hash, payload_bytes, device)
    VALUES (letter_topic, what, why, content, digest, size, from_device)
    ON CONFLICT (topic, payload_hash, malformation)
    DO UPDATE SET occurrences = letter.occurrences + 1, last_received_at = now();
    RETURN true;
END $$;
