CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test', format = 'csv', bad_record = 'drop', dead_letter_table = 'dead_letters');
CREATE TABLE dead_letters (reason TEXT) WITH (connector = 'sink');
SELECT k FROM flows;
/* expected error
line 2, column 64: table `flows`: `dead_letter_table` does nothing with this `bad_record`; say bad_record = 'dead_letter', or leave one of them out
*/
