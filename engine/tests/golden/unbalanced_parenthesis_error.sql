CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT (v + 1 FROM flows;
/* expected error
line 3, column 15: expected: ), found: FROM
*/
