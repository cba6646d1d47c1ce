CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW w AS SELECT k FROM flows
SELECT k FROM w;
/* expected error
line 4, column 1: expected `;` or the end of the script, found `SELECT`
*/
