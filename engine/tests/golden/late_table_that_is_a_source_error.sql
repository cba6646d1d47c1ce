CREATE TABLE flows (ts TIMESTAMP, k TEXT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv',
  late_table = 'flows');
SELECT k FROM flows;
/* expected error
line 3, column 3: table `flows`: option `late_table` names `flows`, which cannot be written to
*/
