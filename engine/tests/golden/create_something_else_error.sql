CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE INDEX i ON flows (k);
/* expected error
line 3, column 8: CREATE INDEX is not supported; use CREATE TABLE, CREATE VIEW or CREATE FUNCTION
*/
