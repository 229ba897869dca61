// Stores files with the JavaScript dicomweb-client (which OHIF uses): node store.js URL FILE…
global.XMLHttpRequest = require('xhr2');
const { api } = require('dicomweb-client');
const fs = require('fs');

const [url, ...files] = process.argv.slice(2);
const datasets = files.map((file) => {
  const data = fs.readFileSync(file);
  return data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
});
const client = new api.DICOMwebClient({ url });
client.storeInstances({ datasets }).then(
  () => console.log('stored'),
  (error) => {
    console.error(error.message, error.response);
    process.exit(1);
  },
);
