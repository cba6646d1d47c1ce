CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FORM flows;
/* expected error
line 3, column 15: expected `;` or the end of the script, found `flows`
*/
