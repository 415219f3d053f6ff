// Drives autocannon as one JSON argument says, and prints one JSON object: what came back, and how long it took.
//
// Without a rate: `connections` callers, each asking again as soon as it has its answer.
// With a rate: one caller for each request of a second, which asks once a second, and all of them evenly apart. So
// requests leave on time, whether or not earlier ones have been answered: latencies omit no wait.

import autocannon from 'autocannon'

const load = JSON.parse(process.argv[2])
const began = performance.now()
const latencies = []
const firstChunks = []
const seen = { completed: 0, errors: 0, refused: 0, broken: 0 }

const inTime = () => performance.now() - began <= load.seconds * 1000 // autocannon itself stops some time later

function watch (client) {
  let sent = 0
  let waiting = false
  let connected = false // the first request of a connection also waits for the connection
  client.on('request', () => {
    sent = performance.now()
    waiting = true
  })
  client.on('body', () => {
    if (waiting && connected && inTime()) firstChunks.push(performance.now() - sent)
    waiting = false
  })
  client.on('response', (status) => {
    if (!inTime()) return
    if (connected) latencies.push(performance.now() - sent)
    connected = true
    if (status === 200) seen.completed++
    else seen.refused++
  })
}

function caller (connections, connectionRate) {
  return new Promise((resolve, reject) => {
    const running = autocannon({
      url: load.url,
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${load.key}` },
      body: load.body,
      duration: load.seconds,
      timeout: 60,
      connections,
      connectionRate,
      setupClient: watch,
      verifyBody: (body) => body.includes(load.expect)
    }, (error, result) => error ? reject(error) : resolve(result))
    running.on('reqError', () => { seen.errors++ })
    running.on('reqMismatch', () => { seen.broken++ })
  })
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

function callers () {
  if (!load.rate) return [caller(load.connections)]
  return Array.from({ length: load.rate }, async (_, n) => {
    await pause(n * 1000 / load.rate)
    return caller(1, 1)
  })
}

function spread (values) {
  const sorted = values.sort((a, b) => a - b)
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null
  return { count: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }
}

await Promise.all(callers())
const { user, system } = process.cpuUsage()
process.stdout.write(JSON.stringify({
  ...seen,
  latency_ms: spread(latencies),
  first_chunk_ms: spread(firstChunks),
  cpu_s: (user + system) / 1e6
}))
