CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
WITH RECURSIVE r AS (SELECT k, v FROM flows UNION ALL SELECT k, v + 1 FROM r WHERE v < 10) SELECT * FROM r;
/* expected error
line 3, column 1: recursive CTE is not implemented
*/
