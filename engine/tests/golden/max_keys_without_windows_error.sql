CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', max_keys = '2');
SELECT k FROM flows;
/* expected error
line 2, column 43: table `flows` has `max_keys`, but no query groups its rows by a window and a key; leave `max_keys` out, or GROUP BY tumble(…), hop(…) or session(…) and the key
*/
