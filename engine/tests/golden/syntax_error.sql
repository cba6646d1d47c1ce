CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, FROM flows
WHERE;
/* expected error
line 3, column 16: expected an expression, found: FROM
*/
