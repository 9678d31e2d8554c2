-- Refuses changes and deletions in the audit log and the books, to every role.
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or deleted: a correction is a new row', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
