CREATE TABLE flows (ts TIMESTAMP, te TIMESTAMP,
  WATERMARK FOR ts, WATERMARK FOR te)
WITH (connector = 'test', format = 'csv');
SELECT ts FROM flows;
/* expected error
line 2, column 21: a table has one WATERMARK
*/
