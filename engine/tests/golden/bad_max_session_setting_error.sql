CREATE TABLE rows (ts TIMESTAMP, WATERMARK FOR ts AS ts) WITH (connector = 'test', format = 'csv');
SET max_session = 'long';
SELECT count(*) AS n FROM rows GROUP BY session(INTERVAL '1 minute');
/* expected error
line 2, column 1: setting `max_session` cannot be `long`; write a duration such as '24 hours'
*/
