CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', max_keys = '0');
SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w;
/* expected error
line 2, column 43: table `flows`: option `max_keys` cannot be `0`; expected a whole number from 1 on, such as '1000000'
*/
