CREATE TABLE flows (ts TIMESTAMP, k TEXT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv',
  late_table = 'late');
SELECT k FROM flows;
/* expected error
line 3, column 3: table `flows`: option `late_table` names `late`, which is not declared; add CREATE TABLE late (…) with a sink connector
*/
