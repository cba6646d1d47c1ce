CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test', format = 'csv', bad_record = 'dead_letter',
  dead_letter_table = 'dead_letters');
CREATE TABLE dead_letters (reason TEXT, line_number BIGINT) WITH (connector = 'sink');
SELECT k FROM flows;
/* expected error
line 3, column 3: table `flows`: option `dead_letter_table`: nothing fills column `line_number` of `dead_letters`; its columns may be `reason`, `detail`, `split`, `position`, `value`
*/
