CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test', format = 'csv',
  format = 'json');
SELECT k FROM flows;
/* expected error
line 3, column 3: table `flows`: option `format` is set twice; keep one of them
*/
