CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows
WHERE k = 'x;
/* expected error
line 4, column 11: Unterminated string literal
*/
