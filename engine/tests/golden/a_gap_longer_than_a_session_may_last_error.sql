SET max_session = '30 seconds';
CREATE TABLE rows (ts TIMESTAMP, WATERMARK FOR ts AS ts) WITH (connector = 'test', format = 'csv');
SELECT count(*) AS n FROM rows GROUP BY session(INTERVAL '1 minute');
/* expected error
line 3, column 41: session: the gap (1m) is longer than `max_session` (30s); SET max_session = '7 days', or whatever a session may last at most
*/
