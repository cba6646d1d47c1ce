CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test', format = 'csv', bad_record = 'dead_letter');
SELECT k FROM flows;
/* expected error
line 2, column 43: table `flows`: bad_record = 'dead_letter' needs to know where to; add dead_letter_table = 'name of a sink table'
*/
