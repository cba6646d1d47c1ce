CREATE TABLE flows (ts TIMESTAMP, k TEXT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', max_future = 'soon');
SELECT k FROM flows;
/* expected error
line 2, column 43: table `flows`: option `max_future` cannot be `soon`; expected a duration such as '1 hour', or 'off'
*/
