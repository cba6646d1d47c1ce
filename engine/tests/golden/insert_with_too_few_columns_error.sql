CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE out (k TEXT, v BIGINT) WITH (connector = 'sink');
INSERT INTO out
SELECT k FROM flows;
/* expected error
line 4, column 13: the query has 1 columns, but table `out` has 2; select `k`, `v`, in this order
*/
