CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test', format = 'csv', bad_record = 'ignore');
SELECT k FROM flows;
/* expected error
line 2, column 43: table `flows`: option `bad_record` cannot be `ignore`; expected 'drop', 'fail' or 'dead_letter'
*/
