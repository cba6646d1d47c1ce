CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', max_keys = '2', overflow = 'drop');
SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w;
/* expected error
line 2, column 59: table `flows`: option `overflow` cannot be `drop`; expected 'fail', 'drop_new'
*/
