/* input flows
bad> {"ts":"1677-09-21T12:00:00Z","v":1}
{"ts":"1677-09-23T12:00:00Z","v":2}
2> {"ts":"2024-01-01T00:00:00Z","v":3}
bad> {"ts":"2262-04-11T22:00:00Z","v":4}
2> {"ts":"2262-04-10T22:00:00Z","v":5}
*/
CREATE TABLE flows (ts TIMESTAMP, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'json', dead_letter_table = 'dead_letters');
CREATE TABLE dead_letters (reason TEXT, detail TEXT) WITH (connector = 'sink');
SELECT tumble(INTERVAL '1 day') AS w, count(*) AS n, sum(v) AS s FROM flows GROUP BY 1;
/* no oracle: arrow's reader knows no such years */
/* expected counts
bad records, no_event_time: 2
*/
/* expected dead_letters
no_event_time | the event time 1677-09-21T12:00:00 has windows that reach beyond 1677 or 2262
no_event_time | the event time 2262-04-11T22:00:00 has windows that reach beyond 1677 or 2262
*/
/* expected results
{start: 1677-09-23T00:00:00, end: 1677-09-24T00:00:00} | 1 | 2
{start: 2024-01-01T00:00:00, end: 2024-01-02T00:00:00} | 1 | 3
{start: 2262-04-10T00:00:00, end: 2262-04-11T00:00:00} | 1 | 5
*/
