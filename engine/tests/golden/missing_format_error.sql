CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test');
SELECT k FROM flows;
/* expected error
line 1, column 14: table `flows`: option `format` is missing; add format = 'csv', 'json' or 'raw_string'
*/
