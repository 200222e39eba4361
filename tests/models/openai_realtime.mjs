// Holds a conversation through the official OpenAI client for Node, and one through the Agents SDK, as programs
// written for OpenAI would.
//
// usage: node openai_realtime.mjs URL
//
// Exits with an error at the first thing that is not as it would be with OpenAI.

import assert from 'node:assert/strict';

import OpenAI from 'openai';
import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket';
import { RealtimeAgent, RealtimeSession } from '@openai/agents-realtime';
import WebSocket from 'ws';

// Node has one of its own from version 22 on.
globalThis.WebSocket ??= WebSocket;

const QUESTION = 'Drop the two when you add the figures.';
const RATE = 24000;
const FRAME = (RATE / 50) * 2;

const url = process.argv[2];
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });

/** Hands a recording over at the pace at which it was spoken, then silence, until it is stopped. */
function microphone(recording, send) {
  const begun = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    while (sent / (2 * RATE) < (performance.now() - begun) / 1000) {
      const frame = Buffer.alloc(FRAME);
      recording.copy(frame, 0, Math.min(sent, recording.length), Math.min(sent + FRAME, recording.length));
      send(frame);
      sent += FRAME;
    }
  }, 20);
  return () => clearInterval(timer);
}

/** Samples that can be heard. */
function audible(sound) {
  let count = 0;
  for (let at = 0; at + 1 < sound.length; at += 2) count += Math.abs(sound.readInt16LE(at)) > 184;
  return count;
}

async function node(recording) {
  // The client speaks TLS to every host unless it is told the address.
  const socket = new OpenAIRealtimeWebSocket(
    { model: 'griot', onURL: (address) => void (address.protocol = url.replace(/^http/, 'ws').split(':')[0] + ':') },
    client,
  );
  let heard = '';
  let said = '';
  const sound = [];
  await new Promise((resolve, reject) => {
    let stop = () => {};
    socket.on('error', reject);
    socket.on('session.created', () => {
      socket.send({
        type: 'session.update',
        session: { type: 'realtime', audio: { input: { turn_detection: { type: 'server_vad', silence_duration_ms: 600 } } } },
      });
    });
    socket.on('session.updated', () => {
      stop = microphone(recording, (frame) =>
        socket.send({ type: 'input_audio_buffer.append', audio: frame.toString('base64') }),
      );
    });
    socket.on('conversation.item.input_audio_transcription.completed', (event) => (heard += event.transcript));
    socket.on('response.output_audio_transcript.delta', (event) => (said += event.delta));
    socket.on('response.output_audio.delta', (event) => sound.push(Buffer.from(event.delta, 'base64')));
    socket.on('response.done', (event) => {
      stop();
      try {
        assert.equal(event.response.status, 'completed');
        assert.equal(event.response.output[0].content[0].transcript, said);
        resolve();
      } catch (error) {
        reject(error);
      }
    });
  });
  socket.close();
  assert.match(heard.toLowerCase(), /add the figures/);
  assert.ok(audible(Buffer.concat(sound)) > RATE / 4);
  console.log('openai:', heard, '|', said);
}

async function agents(recording) {
  const agent = new RealtimeAgent({ name: 'Reader', instructions: 'Answer from the documents.' });
  const session = new RealtimeSession(agent, { transport: 'websocket', model: 'griot' });
  const sound = [];
  const done = new Promise((resolve, reject) => {
    session.on('error', (error) => reject(new Error(JSON.stringify(error))));
    session.on('audio', (event) => sound.push(Buffer.from(event.data)));
    session.on('agent_end', (_context, _agent, text) => resolve(text));
  });
  await session.connect({ url: `${url.replace(/^http/, 'ws')}/v1/realtime?model=griot`, apiKey: 'none' });
  const stop = microphone(recording, (frame) =>
    session.sendAudio(frame.buffer.slice(frame.byteOffset, frame.byteOffset + frame.length)),
  );
  const said = await done;
  stop();
  const turn = session.history.find((item) => item.type === 'message' && item.role === 'user');
  session.close();
  assert.match(turn.content[0].transcript.toLowerCase(), /add the figures/);
  assert.ok(said.length > 0, 'it said something');
  assert.ok(audible(Buffer.concat(sound)) > RATE / 4);
  console.log('agents:', turn.content[0].transcript, '|', said);
}

const reply = await client.audio.speech.create({
  model: 'tts-1',
  voice: 'alloy',
  input: QUESTION,
  response_format: 'pcm',
});
const recording = Buffer.from(await reply.arrayBuffer());
await node(recording);
await agents(recording);
console.log('ok');
process.exit(0);
