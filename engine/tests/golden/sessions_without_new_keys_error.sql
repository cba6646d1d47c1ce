CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', max_keys = '2', overflow = 'drop_new');
SELECT k, session(INTERVAL '10 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w;
/* expected error
line 3, column 11: table `flows` has overflow = 'drop_new', but which keys of sessions are open depends on sessions that have closed, and after a restart Davy does not read those again; say overflow = 'fail', or leave max_keys out of the table that sessions are made of
*/
