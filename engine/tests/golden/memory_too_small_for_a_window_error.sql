/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:02,b,2
1970-01-01 00:00:03,c,3
1970-01-01 00:00:04,d,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SET memory = '2kB';
SELECT k, tumble(INTERVAL '1 minute') AS w, array_agg(v) AS vs FROM flows GROUP BY 1, 2;
/* expected error
the pipeline's memory is used up: Additional allocation failed for partial aggregate `w1_1` with top memory consumers (across reservations) as: partial aggregate `w1_1`#424(can spill: false) consumed 0.0 B, peak 0.0 B, window `w1_1`#425(can spill: false) consumed 0.0 B, peak 0.0 B; raise it with SET memory = '4GiB', or use shorter windows
*/
