CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test', format = 'csv',
  event_time_field = 'te');
SELECT k FROM flows;
/* expected error
line 3, column 3: table `flows`: the event time `te` is no column; columns are `ts`, `k`
*/
