-- What a guest without a name is called: the last four digits of the card, of the latest visit if there is none now; else a dash.
CREATE OR REPLACE FUNCTION name_by_card(nameless uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce('…' || right(coalesce(
        (SELECT card_uid FROM cards WHERE guest_id = nameless ORDER BY status = 'bound' DESC, created_at DESC, card_uid LIMIT 1),
        (SELECT card_uid FROM visits WHERE guest_id = nameless AND card_uid IS NOT NULL ORDER BY opened_at DESC LIMIT 1)), 4), '–')
$$;
