CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k,
  entropi(v) FROM flows;
/* expected error
line 4, column 3: invalid function 'entropi'; Did you mean 'encode'?
*/
