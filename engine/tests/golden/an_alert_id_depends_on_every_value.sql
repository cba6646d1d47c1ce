/* input rows
1970-01-01 00:00:01,a,b
1970-01-01 00:00:02,ab,
1970-01-01 00:00:03,,ab
1970-01-01 00:00:04,a,"1:b,"
*/
CREATE TABLE rows (ts TIMESTAMP, a TEXT, b TEXT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT a, b, alert_id(a, b) AS of_texts, alert_id(a, 1, true, ts) AS of_all FROM rows;
/* expected results
a | 1:b, | 4a536fc58a008523ff3ec26abb645f13833e051182288db2563ae14eb005173c | 395860766ff86338e3413e0c8c8d6cfd05a0426f8bb976eeca02885d67ecba1d
a | b | 9f2b0d502d181b391c81652fdca2ccb0b747828fe438ba90c3e0092bcb39b3a4 | 93587f0291b2039c384535d174b1250fae906d4ec1b8a88f690b436ae97d6f2b
ab | ∅ | 736fedbd61d4b739ab1cfe264ee9efaea2b1eb7c67ad3105c002aa233a2fa8f4 | 45d9019223ec46efd0dccfe22122a22f3b238c56808b7f32f624ca5222ff211e
∅ | ab | 13a140c46dc2a40a38508981a040dde81055b490e63339cb25bfad76ef5e38e5 | 152e67900ce222d41e847458fa09d6ffb40b0d60c816b140d42521ad56747381
*/
