CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'kafak', format = 'csv');
SELECT k FROM flows;
/* expected error
line 1, column 14: table `flows`: there is no connector `kafak`; connectors are `test`, `sink`
*/
