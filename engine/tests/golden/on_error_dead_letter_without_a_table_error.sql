/* input flows
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT) WITH (connector = 'test', format = 'csv', on_error = 'dead_letter');
SELECT k FROM flows;
/* expected error
line 3, column 85: table `flows`: on_error = 'dead_letter' needs to know where to; add dead_letter_table = 'name of a sink table', or for connector `kafka` dead_letter_topic
*/
