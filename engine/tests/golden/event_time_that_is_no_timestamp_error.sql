CREATE TABLE flows (ts BIGINT, k TEXT,
  WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows;
/* expected error
line 2, column 17: table `flows`: the event time `ts` is Int64, not TIMESTAMP; declare it TIMESTAMP, or add a column GENERATED ALWAYS AS (to_timestamp(…))
*/
