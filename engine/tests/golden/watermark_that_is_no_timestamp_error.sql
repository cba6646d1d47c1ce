CREATE TABLE flows (ts TIMESTAMP, k TEXT,
  WATERMARK FOR ts AS k)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows;
/* expected error
line 2, column 17: table `flows`: the watermark is Utf8, not TIMESTAMP; write WATERMARK FOR ts AS ts - INTERVAL '5 seconds'
*/
