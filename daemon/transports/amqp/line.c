/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/line.h"

void
spoke_amqp_line_init(SpokeAmqpLine *line, const SpokeTransportEvents *events, gpointer user_data,
                     const char *product)
{
    *line = (SpokeAmqpLine){
        .events = events,
        .user_data = user_data,
        .product = product,
        .batch_max = G_MAXUINT,
    };
    g_queue_init(&line->ready);
    line->scratch = g_byte_array_new();
    line->arrivals = g_hash_table_new(NULL, NULL);
}

void
spoke_amqp_line_clear(SpokeAmqpLine *line)
{
    g_queue_clear(&line->ready);
    g_clear_pointer(&line->scratch, g_byte_array_unref);
    g_clear_pointer(&line->arrivals, g_hash_table_unref);
}

void
spoke_amqp_line_opened(SpokeAmqpLine *line)
{
    if (line->is_silent)
        return;
    line->n_calls++;
    line->events->opened(line->user_data);
    line->n_calls--;
}

void
spoke_amqp_line_closed(SpokeAmqpLine *line, SpokeCause cause, const char *detail)
{
    if (line->is_silent)
        return;
    line->is_silent = TRUE;
    line->n_calls++;
    line->events->closed(cause, detail, line->user_data);
    line->n_calls--;
}

void
spoke_amqp_line_attached(SpokeAmqpLine *line, SpokeIdentity *identity)
{
    if (line->is_silent)
        return;
    line->n_calls++;
    line->events->attached(identity, line->user_data);
    line->n_calls--;
}

void
spoke_amqp_line_detached(SpokeAmqpLine *line, SpokeIdentity *identity, SpokeCause cause,
                         const char *detail)
{
    if (line->is_silent)
        return;
    line->n_calls++;
    line->events->detached(identity, cause, detail, 0, line->user_data);
    line->n_calls--;
}

void
spoke_amqp_line_settled(SpokeAmqpLine *line, SpokeIdentity *identity,
                        const SpokeSettlement *settlements, guint n)
{
    if (line->is_silent)
        return;
    line->n_calls++;
    line->events->settled(identity, settlements, n, line->user_data);
    line->n_calls--;
}

void
spoke_amqp_line_arrived(SpokeAmqpLine *line, SpokeIdentity *identity, SpokeMessage *message,
                        gpointer token)
{
    if (line->is_silent)
        return;
    line->n_calls++;
    line->events->arrived(identity, message, token, line->user_data);
    line->n_calls--;
}
