CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k,
  substr(v) FROM flows;
/* expected error
line 3, column 1: substring without for/from is not valid
*/
