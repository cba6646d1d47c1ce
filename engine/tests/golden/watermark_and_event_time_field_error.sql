CREATE TABLE flows (ts TIMESTAMP, te TIMESTAMP,
  WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', event_time_field = 'te');
SELECT ts FROM flows;
/* expected error
line 3, column 43: table `flows` has WATERMARK FOR and `event_time_field`; keep WATERMARK FOR
*/
