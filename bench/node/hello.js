'use strict';
const waiting = new Promise((resolve) => setImmediate(resolve, 'hello'));
waiting.then((text) => console.log(text));
