CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, v
FROM flow;
/* expected error
line 4, column 6: there is no table or view `flow`; there are `flows`
*/
