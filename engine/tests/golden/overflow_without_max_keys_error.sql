CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', overflow = 'drop_new');
SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w;
/* expected error
line 2, column 43: table `flows`: `overflow` does nothing without `max_keys`; add max_keys = '1000000', or leave it out
*/
