CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test', format = 'csv', idle_timeout = 'soon');
SELECT k FROM flows;
/* expected error
line 2, column 43: table `flows`: option `idle_timeout` cannot be `soon`; expected a duration such as '10 seconds' or '5m'
*/
