/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:02,b,2
1970-01-01 00:00:03,c,3
1970-01-01 00:00:04,d,4
1970-01-01 00:00:05,e,5
1970-01-01 00:00:06,f,6
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SET memory = '1';
SELECT k, session(INTERVAL '1 minute') AS w, array_agg(v) AS vs FROM flows GROUP BY 1, 2;
/* expected error
the pipeline's memory is used up: Additional allocation failed for partial aggregate `w1_1` with top memory consumers (across reservations) as: window `w1_1`#427(can spill: false) consumed 0.0 B, peak 0.0 B, partial aggregate `w1_1`#426(can spill: false) consumed 0.0 B, peak 0.0 B; raise it with SET memory = '4GiB', or use shorter windows
*/
